"""`voiceman-export`: fetch checkpoints, convert them, check parity, write the weights."""
