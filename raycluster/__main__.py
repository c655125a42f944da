"""The console command: python -m raycluster VERB [options]."""

from raycluster.command_line import main

if __name__ == "__main__":
    main()
