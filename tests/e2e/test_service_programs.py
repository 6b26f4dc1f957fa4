"""Programs of others through services: iperf3, Redis, DNS, nginx that terminates TLS."""

import shutil
import socket
import subprocess

import pytest
from lab.run import stop, wait_for
from lab.services import Outside, apply, compact

VIP4, VIP6 = "10.96.4.10", "fd00:96::4:10"


def needs(*programs):
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def listening(pod, port, kind="tcp"):
    option = "-Hltn" if kind == "tcp" else "-Hlun"
    wait_for(lambda: f":{port} " in pod.run("ss", option).stdout, 10, f"port {port}")


def service(node, name, pod, *ports, **more):
    apply(node, compact(name, vips=(VIP4, VIP6), ports=ports, backends=[pod], **more))


@pytest.mark.parametrize("vip", [VIP4, VIP6])
@pytest.mark.parametrize("options", [(), ("-R",), ("-u", "-b", "20M", "-l", "1200")],
                         ids=["tcp", "tcp-reverse", "udp"])
def test_iperf(own_node, pods, vip, options):
    server_pod, client = pods.kernel(own_node, "server"), pods.kernel(own_node, "client")
    service(own_node, "iperf", server_pod, "5201/tcp", "5201/udp")
    server = server_pod.iperf_server()
    try:
        report = client.iperf(vip, *options, seconds=1)
    finally:
        stop(server)
    if "-u" in options:
        assert report["end"]["sum"]["lost_percent"] < 1
    else:
        assert report["end"]["sum_received"]["bits_per_second"] > 10e6


@needs("redis-server", "redis-cli")
def test_redis(own_node, pods):
    server_pod, client = pods.kernel(own_node, "redis"), pods.kernel(own_node, "client")
    service(own_node, "redis", server_pod, "6379")
    server = server_pod.netns.start("redis-server", "--port", "6379", "--save", "", "--bind", "*",
                                    "--protected-mode", "no", cwd="/")
    cli = ("redis-cli", "-h", VIP4)
    try:
        listening(server_pod, 6379)
        queue = subprocess.Popen(
            client.netns.command(*cli, "blpop", "jobs", "10"), stdout=subprocess.PIPE, text=True)
        wait_for(lambda: "blocked_clients:1" in client.run(*cli, "info", "clients").stdout, 10,
                 "the waiting client")
        client.run(*cli, "rpush", "jobs", "one")
        assert queue.communicate(timeout=10)[0].split() == ["jobs", "one"]
        value = "x" * 1_000_000
        client.run(*cli, "-x", "set", "large", input=value)
        assert client.run(*cli, "strlen", "large").stdout.strip() == "1000000"
    finally:
        stop(server)


class NatsClient:
    """Speaks NATS' text protocol: no Debian package has a client program."""

    def __init__(self, pod, address):
        with pod.netns.entered():
            self.socket = socket.create_connection((address, 4222), timeout=5)
        self.file = self.socket.makefile("rwb")
        assert self.file.readline().startswith(b"INFO ")
        self.send("CONNECT {\"verbose\": false}")
        self.settle()

    def send(self, *lines):
        self.file.write("".join(f"{line}\r\n" for line in lines).encode())
        self.file.flush()

    def settle(self):
        """The server has all that was sent: it answers in order. Messages before that."""
        self.send("PING")
        messages = []
        while (line := self.file.readline().strip()) != b"PONG":
            assert line.startswith(b"MSG "), line
            messages.append(self.file.readline().strip().decode())
        return messages

    def close(self):
        self.file.close()
        self.socket.close()


@needs("nats-server")
def test_nats_queue(own_node, pods):
    """Each job of a queue reaches one of its workers, whichever address they came by."""
    server_pod, *others = (pods.kernel(own_node, stem) for stem in ("nats", "p", "w", "w"))
    service(own_node, "nats", server_pod, "4222")
    server = server_pod.netns.start("nats-server", "--addr", "::", "--port", "4222", cwd="/")
    clients = []
    try:
        listening(server_pod, 4222)
        clients = [NatsClient(pod, vip) for pod, vip in zip(others, (VIP4, VIP4, VIP6))]
        publisher, *workers = clients
        for worker in workers:
            worker.send("SUB jobs pool 1")
            worker.settle()
        jobs = [f"job {i}" for i in range(200)]
        publisher.send(*[line for job in jobs for line in (f"PUB jobs {len(job)}", job)])
        assert publisher.settle() == []
        shares = [worker.settle() for worker in workers]
        assert sorted(shares[0] + shares[1]) == sorted(jobs)
        assert min(len(share) for share in shares) > 20
    finally:
        for client in clients:
            client.close()
        stop(server)


@needs("dnsmasq", "getent")
def test_dns_over_udp(own_node, pods):
    server_pod, client = pods.kernel(own_node, "dns"), pods.kernel(own_node, "client")
    service(own_node, "dns", server_pod, "53/udp", "53/tcp")
    server = server_pod.netns.start(
        "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
        "--address=/weir.test/192.0.2.99", "--log-facility=-")
    query = (
        "import socket, struct, sys\n"
        "name = b''.join(bytes([len(p)]) + p for p in b'www.weir.test'.split(b'.')) + b'\\0'\n"
        "ask = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + name + struct.pack('>2H', 1, 1)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)\n"
        f"s.connect(('{VIP4}', 53)); s.send(ask)\n"
        "print('.'.join(str(b) for b in s.recv(512)[-4:]))\n")
    try:
        listening(server_pod, 53, "udp")
        assert client.run("/usr/bin/python3", "-c", query).stdout.strip() == "192.0.2.99"
    finally:
        stop(server)


@needs("nginx", "openssl")
def test_nginx_terminates_tls_behind_a_node_port(own_node, pods, tmp_path):
    outside = Outside(own_node)
    server_pod = pods.kernel(own_node, "nginx")
    service(own_node, "ingress", server_pod, "443->8443@30443", external_policy="local")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    server_pod.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
                   "/CN=weir.test", "-keyout", key, "-out", certificate)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr; user root; events {{}}\n"
        f"http {{ access_log off; server {{ listen 8443 ssl; ssl_certificate {certificate};\n"
        f"ssl_certificate_key {key}; location / {{ return 200 $remote_addr; }} }} }}\n")
    server = server_pod.netns.start("nginx", "-c", tmp_path / "nginx.conf")
    try:
        listening(server_pod, 8443)
        done = outside.run("curl", "-sS", "-m5", "--cacert", certificate, "--resolve",
                           f"weir.test:30443:{Outside.NODE[4]}", "https://weir.test:30443/")
        assert done.stdout == Outside.ADDRESS[4]
    finally:
        stop(server)
        outside.close()
