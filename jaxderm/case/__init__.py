"""The editorial case: a sealed folder for the reviewers, a folder for print, and what links the two."""
