"""One .tflite model on every board that milliwatt knows: time, energy, memory, exactness.

python examples/run_tflite.py MODEL.tflite
"""

import sys

import milliwatt as mw


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: run_tflite.py MODEL.tflite")
    graph = mw.load(sys.argv[1])
    print(f"{'board':20} {'ms':>9} {'uJ':>10} {'flash':>9} {'RAM':>9}  bit-exact")
    for board in mw.boards():
        try:
            report = mw.build(graph, board=board).profile()
        except mw.DoesNotFit as error:
            print(f"{board.name:20} {error}")
            continue
        energy = "-" if report.energy_uj is None else f"{report.energy_uj:,.1f}"
        print(
            f"{board.name:20} {report.latency_ms:>9,.2f} {energy:>10} {report.flash_bytes:>9,} "
            f"{report.ram_bytes:>9,}  {'yes' if report.bit_exact else 'no'}"
        )


if __name__ == "__main__":
    try:
        main()
    except mw.MilliwattError as error:
        raise SystemExit(f"run_tflite.py: {error}") from None
