"""python -m carbonsink.standins NAME --dir DIR [--port N] [options of that stand-in]"""

import argparse
import sys
from pathlib import Path

from . import alipay, bank, keys, wechatpay
from .serving import serve

STANDINS = {"wechatpay": wechatpay, "alipay": alipay, "bank": bank}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m carbonsink.standins", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name, module in STANDINS.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        command.add_argument("--dir", type=Path, required=True, help="folder of key files and of the book")
        command.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
        module.add_options(command)
    options = parser.parse_args(arguments)
    try:
        keys.generate(options.dir)
        app = STANDINS[options.name].create_app(options)
    except OSError as error:
        sys.stderr.write(f"Cannot use {options.dir}: {error.strerror}; choose a writable --dir.\n")
        return 1
    return serve(app, options.dir, options.port)


if __name__ == "__main__":
    sys.exit(main())
