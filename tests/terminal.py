"""Runs a program in a terminal of its own and prints what it wrote there.

terminal.py COLUMNS PROMPT KEYS PROGRAM [ARGUMENT...]: KEYS are typed once PROMPT was written; without a
PROMPT nothing is typed. Exits as the program did.
"""

import codecs
import fcntl
import os
import pty
import struct
import sys
import termios


def main():
    columns, prompt, keys, *program = sys.argv[1:]
    prompt, keys = prompt.encode(), codecs.decode(keys, "unicode_escape").encode()
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, int(columns), 0, 0))
        os.execvp(program[0], program)
    written, is_typed = b"", not prompt
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # The program ended, and nothing else has the terminal.
            break
        if not piece:
            break
        written += piece
        if not is_typed and prompt in written:
            os.write(terminal, keys)
            is_typed = True
    _, status = os.waitpid(child, 0)
    sys.stdout.buffer.write(written)
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(status))


main()
