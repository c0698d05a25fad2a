"""How fast our doors are beside the floor: the same work by hand-written SQL or bare libraries, in the same run."""
