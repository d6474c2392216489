"""What a teacher needs: assignments, their student versions, and grading in a sandbox."""
