"""Data sets of generated images, for face recognition: identities at a distance, aligned images, all labels."""
