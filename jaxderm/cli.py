"""`jaxderm <command> --flags`: dispatch only; each command is a module of `jaxderm.commands`."""

import importlib
import os
import sys
from types import ModuleType

from absl import flags

from jaxderm.errors import InputError

# What it does, and the extra that its libraries come with.
COMMANDS = {
    "deidentify": ("release photos: the lesion stays, everything else is generated", None),
    "audit": (
        "is the patient gone, the lesion there, the person right, the picture believable",
        "audit",
    ),
    "render": ("render people who do not exist, with labels, as a training corpus", "render"),
    "study": ("do specialists tell releases from photographs", "study"),
    "transplant": ("a lesion onto a generated person, for teaching; marked as simulated", None),
    "inspect": ("what a picture claims of itself, and whether it holds", None),
    "serve": ("the local page: open a photograph, paint the lesion, take the release", "web"),
    "case": ("from photograph to reviewers' folder to print folder, and verify", "case"),
    "prepare": ("read a folder of labelled pictures into a data set for training", "train"),
    "train": ("train a model: autoencoder, vae, gan", "train"),
    "plan": ("compile a training for a TPU pod without one, and predict its speed", "train"),
    "export": ("a model as one portable file: StableHLO, weights and a card", "export"),
    "evaluate": ("realism over the course of a training run", "train"),
}


def usage() -> str:
    """The list of commands."""
    lines = [f"  {name:12s}{what}" for name, (what, _) in COMMANDS.items()]
    return "usage: jaxderm COMMAND --flags   (jaxderm COMMAND --help lists them)\n" + "\n".join(
        lines
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 some cases failed, 2 a mistake that is named in one sentence."""
    argv = list(sys.argv if argv is None else argv)
    if len(argv) < 2 or argv[1] in ("--help", "-h", "help"):
        print(usage())
        return 0 if len(argv) > 1 else 2
    name = argv[1]
    if name == "--version":
        from jaxderm import __version__

        print(__version__)
        return 0
    if name not in COMMANDS:
        print(f"jaxderm: command '{name}' is unknown.\n{usage()}", file=sys.stderr)
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # quiets XLA's start-up chatter
    try:
        command = importlib.import_module(f"jaxderm.commands.{name}")
        actions = getattr(command, "ACTIONS", ())  # of a command in several steps
        if actions and argv[2:3] and argv[2] in actions:
            command = importlib.import_module(f"jaxderm.commands.{name}.{argv[2]}")
            argv[1:3] = [name := f"{name} {argv[2]}"]
        elif actions:
            return _no_action(command, name, argv[2:])
    except ModuleNotFoundError as error:
        extra = COMMANDS[name.split()[0]][1]
        if extra is None or (error.name or "").startswith("jaxderm"):
            raise
        print(
            f"jaxderm: {name} needs {error.name}: pip install 'jaxderm[{extra}]'.", file=sys.stderr
        )
        return 2
    try:
        if any(flag in argv[2:] for flag in ("--help", "-h", "--helpfull")):
            print(
                f"{command.__doc__}\n{command.FLAGS.main_module_help() or command.FLAGS.get_help()}"
            )
            return 0
        command.FLAGS.unparse_flags()  # a second call in one process starts from the defaults
        rest = _parse(command.FLAGS, [f"jaxderm {name}", *argv[2:]])
        word = getattr(command, "POSITIONAL", None)  # the flag that a bare word stands for
        if rest and word and getattr(command.FLAGS, word) is None:
            setattr(command.FLAGS, word, rest.pop(0))
        if rest:
            raise InputError(f"'{rest[0]}' is not a flag; write --name value.")
        if not flags.FLAGS.is_parsed():
            flags.FLAGS(argv[:1])  # libraries that look at absl's own flags want them parsed
        return command.run(command.FLAGS)
    except (InputError, flags.Error) as error:
        print(f"jaxderm {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"jaxderm {name}: interrupted.", file=sys.stderr)
        return 130


def _no_action(command: ModuleType, name: str, rest: list[str]) -> int:
    """Say what the actions of a command are; 0 when that was asked for."""
    if rest and rest[0] in ("--help", "-h", "--helpfull", "help"):
        print(command.__doc__)
        return 0
    said = f"'{rest[0]}' is no action; " if rest else ""
    print(
        f"jaxderm {name}: {said}write jaxderm {name} {'|'.join(command.ACTIONS)}.", file=sys.stderr
    )
    return 2


def _parse(values: flags.FlagValues, argv: list[str]) -> list[str]:
    """Parse the flags; the words that are none. InputError for a configuration that cannot be read."""
    try:
        return values(argv)[1:]
    except (AttributeError, KeyError, OSError, TypeError) as error:  # ml_collections' own
        words = " ".join(str(error).replace("'", "").split())
        raise InputError(f"--config cannot be read: {words}; see configs/default.py.") from None


def entry() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
