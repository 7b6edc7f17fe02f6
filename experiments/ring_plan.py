"""What a ring of devices costs a loss of all pairs: messages, memory, time; on paper.

    python experiments/ring_plan.py

prints the table of docs/accelerators.md, whose formulas these are. Nothing is measured
here but `PAIRS`, on one device.
"""

from typing import NamedTuple

NUMBER = 4  # bytes of float32
# Operations a second of loss and gradients on one H100: B = 65,536, m = 128, a dot
# product, streamed in float32: 6 m B^2 in 177 ms (benchmarks/results/h100/wide).
PAIRS = 6 * 128 * 65_536**2 / 0.177
NEAR = 450e9  # bytes/s one way: NVLink 4, 900 GB/s both ways (NVIDIA H100 data sheet)
FAR = 50e9  # bytes/s: ConnectX-7 of 400 Gb/s for each GPU (NVIDIA DGX H100 user guide)
TOGETHER = 8  # GPUs of one machine (same guide)
START = 10e-6  # seconds to begin a message: assumed


class Plan(NamedTuple):
    """A loss and its gradients over a ring.

    Attributes:
        sent: bytes that a device sends.
        held: bytes of rows, columns, their gradients and blocks on their way.
        seconds: of the loss and its gradients.
        efficiency: time of arithmetic alone over `seconds`.
    """

    sent: float
    held: float
    seconds: float
    efficiency: float


def plan(rows: int, width: int, devices: int) -> Plan:
    """The cost of a batch of `rows` pairs of `width` numbers."""
    own = rows / devices
    block = own * width * NUMBER
    hop = block / (NEAR if devices <= TOGETHER else FAR) + START
    forwards, backwards = (k * width * own**2 / PAIRS for k in (2, 4))
    hops = devices - 1
    # Columns travel while a block is computed; backwards a gradient follows each block.
    seconds = forwards + backwards
    seconds += hops * (max(forwards, hop) + max(backwards, hop) + hop)
    alone = devices * (forwards + backwards)
    return Plan(3 * hops * block, 7 * block, seconds, alone / seconds)


def table() -> str:
    """The rows of the docs, Markdown."""
    lines = ["| devices | rows a device | sent | held | time | efficiency |"]
    lines.append("|---|---|---|---|---|---|")
    for rows, devices in [(2**20, 4**k) for k in range(7)] + [
        (2**13 * 4**k, 4**k) for k in range(1, 7)
    ]:
        found = plan(rows, 128, devices)
        lines.append(
            f"| {devices:,} | {rows // devices:,} | {found.sent / 2**20:,.0f} MiB | "
            f"{found.held / 2**20:,.1f} MiB | {found.seconds:.3g} s | "
            f"{found.efficiency:.0%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
