# Calls componentize-py's runtime past Python's own modules, with numbers of imports and handles
# that were never given. Must: a Python exception, or a trap that ends this guest alone.

import sys

import componentize_py_runtime as runtime

write("/synced", b"synced")
os.fsync(os.open("/synced", os.O_RDONLY))
print("reached", flush=True)
match sys.argv[1]:
    case "import":
        runtime.call_import(1 << 20, [])
    case "negative":
        runtime.call_import(-1, [])
    case "arguments":
        runtime.call_import(0, [1 << 70, object(), None])
    case "resource":
        runtime.drop_resource(0, 5)
    case "handle":
        runtime.drop_resource(1 << 20, (1 << 31) - 1)
