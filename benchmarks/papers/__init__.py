"""Tables and figures of the papers that the recipes follow."""
