"""What people build with milliwatt: complete tasks from data to checked firmware."""
