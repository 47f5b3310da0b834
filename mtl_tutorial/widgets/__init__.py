"""What learners turn and press; every widget stands on `view.View`."""
