# SPDX-License-Identifier: Apache-2.0
"""What a host is and has, read from the kernel once; or what a simulated one pretends."""

import os
import platform
import shutil
from pathlib import Path

import msgspec

from octostack.base import clock
from octostack.contracts.compute import HostFacts
from octostack.engines.virt.hypervisor import HypervisorInfo

_MIB = 1 << 20
_GIB = 1 << 30

# Processor flags that Placement has a standard trait for.
_FLAG_TRAITS = {
    "aes": "HW_CPU_X86_AESNI", "avx": "HW_CPU_X86_AVX", "avx2": "HW_CPU_X86_AVX2",
    "f16c": "HW_CPU_X86_F16C", "fma": "HW_CPU_X86_FMA3", "sse": "HW_CPU_X86_SSE",
    "sse2": "HW_CPU_X86_SSE2", "ssse3": "HW_CPU_X86_SSSE3", "sse4_1": "HW_CPU_X86_SSE41",
    "sse4_2": "HW_CPU_X86_SSE42", "vmx": "HW_CPU_X86_VMX", "svm": "HW_CPU_X86_SVM",
    "bmi1": "HW_CPU_X86_BMI", "bmi2": "HW_CPU_X86_BMI2", "mmx": "HW_CPU_X86_MMX",
    "avx512f": "HW_CPU_X86_AVX512F",
}  # fmt: skip
_ALWAYS = (
    "COMPUTE_NODE",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_IMAGE_TYPE_ISO",
    "COMPUTE_IMAGE_TYPE_VHD",
    "COMPUTE_IMAGE_TYPE_VHDX",
    "COMPUTE_IMAGE_TYPE_VMDK",
    "COMPUTE_IMAGE_TYPE_VDI",
    "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_RESCUE_BFV",
    "COMPUTE_DEVICE_TAGGING",
    "COMPUTE_GRAPHICS_MODEL_VGA",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_STORAGE_BUS_VIRTIO",
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A host's own part of `HostFacts`."""

    host: str
    host_ip: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    cpu_model: str = ""
    cpu_flags: tuple[str, ...] = ()
    booted_at: float = 0.0

    def view(self, provider_id: str, hypervisor: HypervisorInfo) -> HostFacts:
        """The facts with those of the hypervisor."""
        traits = [t for flag, t in _FLAG_TRAITS.items() if flag in self.cpu_flags]
        return HostFacts(
            host=self.host,
            provider_id=provider_id,
            hypervisor_hostname=self.host,
            hypervisor_type=hypervisor.kind,
            hypervisor_version=hypervisor.version,
            host_ip=self.host_ip,
            vcpus=self.vcpus,
            memory_mb=self.memory_mb,
            disk_gb=self.disk_gb,
            architecture=platform.machine(),
            cpu_model=self.cpu_model,
            cpu_topology=(self.vcpus, 1, 1),
            cpu_features=self.cpu_flags,
            traits=(*_ALWAYS, *sorted(traits)),
            simulated=hypervisor.simulated,
            booted_at=self.booted_at,
        )


def read(host: str, host_ip: str, directory: Path) -> Facts:
    """The facts of this machine; the disk is the one that `directory` is on."""
    cpu = _cpu_info()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Facts(
        host=host,
        host_ip=host_ip,
        vcpus=os.cpu_count() or 1,
        memory_mb=pages // _MIB,
        disk_gb=shutil.disk_usage(directory).total // _GIB,
        cpu_model=cpu.get("model name", ""),
        cpu_flags=tuple(sorted(cpu.get("flags", "").split())),
        booted_at=clock.now() - uptime,
    )


def _cpu_info() -> dict[str, str]:
    """The first processor of /proc/cpuinfo."""
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
