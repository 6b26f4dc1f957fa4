"""VPP's libmemif, by its example program, in both roles.

Debian has no package of it. From VPP's source, in extras/libmemif:
cc -O2 -D_GNU_SOURCE -DHAVE_MEMFD_CREATE -DMEMIF_CACHELINE_SIZE=64 -Isrc -Iexamples/common \
   src/*.c examples/common/*.c examples/icmp_responder/main.c -o icmp_responder
"""

import shutil

import pytest
from lab.run import stop, wait_for
from test_memif import link_up

RESPONDER = shutil.which("icmp_responder")
pytestmark = pytest.mark.skipif(not RESPONDER, reason="needs libmemif's icmp_responder in PATH")


@pytest.mark.parametrize("role", ["slave", "master"])
@pytest.mark.parametrize("buffer", [256, 2048, 9216])
def test_echo(node, pods, tmp_path, role, buffer):
    kernel = pods.kernel(node)
    client = {"role": "client", "path": str(tmp_path / "vpp.sock"), "bufferSize": buffer}
    memif = pods.memif(node, memif=client if role == "master" else {})
    program = memif.netns.start(RESPONDER, "-r", role, "-s", memif.socket_path, "-b", buffer,
                                "-a", memif.ip4, "-m", memif.mac)
    try:
        link_up(node, memif)
        kernel.ping(memif.ip4, count=20)
        kernel.ping(memif.ip4, count=5, options=("-s", "120"))
    finally:
        stop(program)
    wait_for(lambda: node.ports()[memif.ip4]["link"] == "down", 10, "end of the link")
