package cursor

// syncDir has nothing to do: Windows cannot flush a folder, and NTFS journals
// the rename.
func syncDir(string) error { return nil }
