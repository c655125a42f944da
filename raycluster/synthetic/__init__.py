"""Generated identities: for the demo, for training and for measurements."""
