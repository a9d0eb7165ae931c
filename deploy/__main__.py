"""``python -m deploy`` is ``bellwire``."""

from deploy.cli.main import main

if __name__ == "__main__":
    main()
