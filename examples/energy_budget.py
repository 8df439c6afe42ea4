"""How long a battery lasts when a node runs a model now and then and sleeps in between.

python examples/energy_budget.py MODEL.tflite [BOARD]
"""

import sys

import milliwatt as mw

BATTERY_MWH = 220 * 3.0  # a CR2032: 220 mAh at 3 V
PERIODS_S = (1, 10, 60, 600)


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: energy_budget.py MODEL.tflite [BOARD]")
    board = sys.argv[2] if len(sys.argv) > 2 else "nucleo-l4r5zi"
    firmware = mw.build(mw.load(sys.argv[1]), board=board)
    print(f"{'every':>8} {'average mW':>11} {'computing':>10} {'days on a CR2032':>17}")
    for seconds in PERIODS_S:
        report = firmware.profile(period_ms=1000 * seconds)
        duty = report.period
        assert duty is not None
        share = duty.active_uj / (duty.active_uj + duty.sleep_uj)
        days = BATTERY_MWH / duty.average_mw / 24
        print(f"{seconds:>6} s {duty.average_mw:>11.4f} {share:>10.0%} {days:>17,.0f}")
    print(f"active power: {report.energy_source}")


if __name__ == "__main__":
    try:
        main()
    except mw.MilliwattError as error:
        raise SystemExit(f"energy_budget.py: {error}") from None
