"""Two workers: clients' packets arrive on one, the answers to them on the other."""

from lab.node import node_config
from lab.run import stop
from lab.services import Datagrams, Server, apply, ask, compact

VIP4, VIP6 = "10.96.7.10", "fd00:96:7::10"


def worker_of(node, pod):
    return node.ports()[pod.ip4]["worker"]


def a_pod_on(node, pods, worker):
    """Ports are spread over the workers, so one of a few pods is there."""
    for _ in range(4):
        pod = pods.kernel(node)
        if worker_of(node, pod) == worker:
            return pod
    raise AssertionError(f"no pod of four is on worker {worker}")


def test_replies_that_cross_workers_are_translated_back(make_node, pods):
    node = make_node(config=node_config(dataplane={"workers": [0, 1]}))
    node.up()
    client, server_pod = a_pod_on(node, pods, 0), a_pod_on(node, pods, 1)
    server = Server(server_pod, "server")
    iperf = server_pod.iperf_server()
    flows = []
    try:
        apply(node, compact(vips=[VIP4, VIP6], backends=[server_pod],
                            ports=["80/tcp->8080", "53/udp->8080", "5201/tcp"]))
        for vip in (VIP4, VIP6):
            for _ in range(20):
                assert ask(client, vip).server == "server"
            flows += [Datagrams(client.netns, vip, 53) for _ in range(20)]
        assert {flow.ask().server for flow in flows for _ in range(5)} == {"server"}
        report = client.iperf(VIP4, "-P", "4", "--bidir", seconds=1)
        assert report["end"]["sum_sent_bidir_reverse"]["bytes"] > 1_000_000
        busy = [worker["packets"] for worker in node.ctl("worker", "show")]
        assert len(busy) == 2 and min(busy) > 100, busy
    finally:
        stop(iperf)
        for flow in flows:
            flow.close()
        server.stop()
