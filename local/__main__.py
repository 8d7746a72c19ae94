"""``python -m local up|down|status|logs|invoke|deploy``: the commands behind the Makefile."""

from local.cli import main

raise SystemExit(main())
