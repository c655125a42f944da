"""What a person should see: the report, and the queues of doubtful cases."""
