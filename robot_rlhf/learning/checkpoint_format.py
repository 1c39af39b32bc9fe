"""What a checkpoint's file says it is. Apart, so that who only looks at files needs no torch."""

FORMAT_KEY = "format"  # in the metadata of a safetensors file
FORMAT = "robot-rlhf-checkpoint-2"
