"""`python -m milliwatt` is the command `mw`."""

from milliwatt.cli import main

if __name__ == "__main__":
    main()
