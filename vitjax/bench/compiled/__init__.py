"""What the compilers of TPUs and GPUs say of the loop, on machines that have neither."""
