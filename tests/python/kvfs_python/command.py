"""The command line of `python`: which program to run, with which arguments."""

import code
import importlib.machinery
import io
import os
import runpy
import sys
import types
import warnings

USAGE = """\
usage: python [option] ... [-c cmd | -m mod | file | -] [arg] ...
-c cmd : run the program given as a string
-m mod : run a library module as a script
file   : run the program in a file, or in a directory or zip file with a __main__.py
-      : run the program on standard input (the default)
-B     : do not write .pyc files
-i     : read statements from standard input after the program
-P     : do not put the program's directory on sys.path
-q     : no banner when reading statements
-u     : do not buffer standard output
-V     : print the version and exit (also --version)
-W arg : a warning filter, as in module warnings
-h     : print this and exit
"""


class Options:
    """The options before the program on the command line."""

    def __init__(self):
        self.kind = "stdin"  # or "command", "module", "file"
        self.program = ""
        self.interactive = False
        self.quiet = False
        self.safe_path = False


def main():
    """Runs the program that `sys.argv` names and returns the exit code."""
    try:
        options = parse(sys.argv[1:])
    except Usage as usage:
        print(usage.text, end="", file=sys.stderr if usage.code else sys.stdout)
        return usage.code
    code = guarded(run, options)
    if options.interactive:
        code = guarded(interact, options)
    return code


class Usage(Exception):
    """Ends with a text for the user instead of a program."""

    def __init__(self, code, text):
        self.code, self.text = code, text


def parse(arguments):
    """Reads the options and leaves in `sys.argv` what the program should see."""
    options = Options()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "-" or not word.startswith("-"):
            options.kind, options.program = ("stdin", "-") if word == "-" else ("file", word)
            sys.argv[:] = [word, *rest]
            return options
        if word in ("--version", "--help"):
            word = {"--version": "-V", "--help": "-h"}[word]
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "cmWX":
                if not letters and not rest:
                    raise Usage(2, f"Argument expected for the -{letter} option\n{USAGE}")
                value = letters or rest.pop(0)
                letters = ""
                if letter in "cm":
                    options.kind = {"c": "command", "m": "module"}[letter]
                    options.program = value
                    sys.argv[:] = ["-" + letter, *rest]
                    return options
                if letter == "W":
                    sys.warnoptions.append(value)
                    warnings._setoption(value)
            else:
                flag(options, letter)
    sys.argv[:] = [""]
    return options


def flag(options, letter):
    """Applies an option without a value."""
    match letter:
        case "B":
            sys.dont_write_bytecode = True
        case "P":
            options.safe_path = True
        case "i":
            options.interactive = True
        case "q":
            options.quiet = True
        case "u":
            sys.stdout.reconfigure(write_through=True)
        case "V":
            raise Usage(0, f"Python {sys.version.split()[0]}\n")
        case "h":
            raise Usage(0, USAGE)
        case _:
            raise Usage(2, f"Unknown option: -{letter}\n{USAGE}")


def run(options):
    """Runs the program in a new `__main__`."""
    main_module = types.ModuleType("__main__")
    main_module.__builtins__ = __builtins__
    sys.modules["__main__"] = main_module
    namespace = vars(main_module)
    match options.kind:
        case "command":
            first_on_path(options, "")
            source = options.program + "\n"
            execute(compile(source, "<string>", "exec", dont_inherit=True), namespace)
        case "module":
            first_on_path(options, os.getcwd())
            runpy._run_module_as_main(options.program)
        case "file":
            run_file(options, namespace)
        case _:
            first_on_path(options, "")
            if sys.stdin.isatty():
                interact(options)
            else:
                source = sys.stdin.buffer.read()
                execute(compile(source, "<stdin>", "exec", dont_inherit=True), namespace)


def run_file(options, namespace):
    """Runs a script, or the `__main__` of a directory or zip file."""
    path = options.program
    try:
        if os.path.isdir(path):
            source = None
        else:
            with io.open_code(os.path.abspath(path)) as file:
                source = file.read()
    except OSError as error:
        print(f"python: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    if source is None or source.startswith(b"PK\x03\x04"):
        sys.path.insert(0, path)
        runpy._run_module_as_main("__main__", alter_argv=False)
        return
    first_on_path(options, os.path.dirname(os.path.realpath(path)))
    namespace["__file__"] = path
    namespace["__cached__"] = None
    namespace["__loader__"] = importlib.machinery.SourceFileLoader("__main__", path)
    if path.endswith(".pyc"):
        loader = importlib.machinery.SourcelessFileLoader("__main__", path)
        namespace["__loader__"] = loader
        execute(loader.get_code("__main__"), namespace)
    else:
        execute(compile(source, path, "exec", dont_inherit=True), namespace)


def execute(program, namespace):
    """Runs the program. Tracebacks are cut at this frame."""
    exec(program, namespace)


def first_on_path(options, entry):
    if not options.safe_path and not os.environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, entry)


def interact(options):
    """Reads statements from standard input until its end."""
    banner = "" if options.quiet else None
    code.interact(banner=banner, local=vars(sys.modules["__main__"]), exitmsg="")


def guarded(action, options):
    """Runs `action` and turns its outcome into an exit code."""
    try:
        action(options)
    except SystemExit as error:
        return exit_code(error.code)
    except BaseException as error:
        report(error)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def exit_code(value):
    """Returns the exit code of `sys.exit(value)`: None is 0, a number its low byte, anything else 1 (and printed)."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    sys.stdout.flush()
    print(value, file=sys.stderr)
    return 1


def report(error):
    """Prints the traceback through `sys.excepthook`, without this module's own frames."""
    own = {frame.__code__ for frame in (guarded, run, run_file, execute, interact)}
    own.add(main.__code__)
    traceback = error.__traceback__
    while traceback and traceback.tb_frame.f_code in own:
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        pass  # the program's end tries again and reports the error
    try:
        sys.excepthook(type(error), error, traceback)
    except SystemExit:
        raise
    except BaseException as hook_error:
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(hook_error), hook_error, hook_error.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, traceback)
