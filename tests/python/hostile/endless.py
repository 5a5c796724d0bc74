# Goes on for ever, in one of several ways. Must: it is ended when its time is up, and what it had
# stored is sound.

import re
import sys

write("/synced", b"synced")
os.fsync(os.open("/synced", os.O_RDONLY))
print("reached", flush=True)
match sys.argv[1]:
    case "loop":
        while True:
            pass
    case "handlers":
        while True:
            try:
                while True:
                    len([])
            except BaseException:
                pass
    case "pattern":
        re.match(r"(a|a)*b", "a" * 200)
    case "stats":
        while True:
            outcome(os.stat, "/over/dir/../../host/dir/inside")
    case "writes":
        number = 0
        while True:
            write(f"/small/{number % 50}", b"x" * 3000)
            os.rename(f"/small/{number % 50}", "/small/x")
            number += 1
