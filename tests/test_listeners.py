"""The tests about who may ask a job anything see every socket that listens."""

import os
import socket

from tests import listeners


def test_a_socket_of_this_process_is_seen_whichever_descriptors_are_free():
    free = os.open(os.devnull, os.O_RDONLY)
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.close(free)

        assert server.getsockname() in listeners.listening({os.getpid()})
