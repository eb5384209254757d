"""Behind an archive: receive, wait, decide, run, deliver; nothing lost, nothing doubled."""
