"""Find series in files and folders, refuse what is unfit, open one slice by slice."""
