"""`python -m comporta` does what `comporta` does.

It is the way in where the folder of installed commands is not on the search path.
"""

from comporta.cli.main import main

if __name__ == "__main__":
    main()
