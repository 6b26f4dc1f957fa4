"""A container image with nothing but busybox, made here: no registry is asked."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
IMAGE = "weir.test/busybox:latest"
APPLETS = ("sh", "ping", "ping6", "wget", "nc", "sleep", "ip")


def add_file(archive, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def layer():
    """A root file system with nothing but busybox."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        add_file(archive, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def write_image(path):
    """An OCI image layout as one tar file (OCI image-spec 1.0)."""
    blobs = {}

    def blob(media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image"
    rootfs = blob(f"{oci}.layer.v1.tar", layer())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [rootfs["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob(f"{oci}.config.v1+json", json.dumps(config).encode()),
        "layers": [rootfs],
    }
    index = blob(f"{oci}.manifest.v1+json", json.dumps(manifest).encode())
    index["annotations"] = {"io.containerd.image.name": IMAGE}
    with tarfile.open(path, "w") as archive:
        add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add_file(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
        for name, data in blobs.items():
            add_file(archive, name, data)
