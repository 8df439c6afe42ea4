"""The recording of MLPerf Tiny's streaming wake word benchmark as the features of its model.

Features: log energies of 40 mel bands of frames of 64 ms, a new one every 32 ms, mapped to 0 .. 1.
Source of the numbers: the benchmark's data preparation (pre-emphasis 31/32, Hamming window, power
spectrum over its length, bands from 0 to 8 kHz, 10 log10, + 52, / 64).
"""

from __future__ import annotations

import json
import wave

import numpy as np

from support.shared import shared

RATE, FRAME, HOP, BANDS = 16_000, 1024, 512, 40
FOLDER = "data/mlperf_sww"


def recording() -> np.ndarray:
    """f64 [samples]: the first channel, its loudest sample 1."""
    with wave.open(str(shared(f"{FOLDER}/short_wav_easy10s.wav"))) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        samples = raw[:: file.getnchannels()].astype(np.float64)
    return samples / np.abs(samples).max()


def spoken() -> list[tuple[float, float]]:
    """Start and end of every "marvin", in seconds."""
    found = json.loads(shared(f"{FOLDER}/sww_short_test.json").read_text())
    return [(start, end) for start, end in found[0]["detection_windows"]]


def _mel_bands(bins: int) -> np.ndarray:
    """[bins, BANDS]: triangles, even on the mel scale; the constant part is in none."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(0, mel(RATE / 2), BANDS + 2)
    at = mel(np.linspace(0, RATE / 2, bins))[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(rising, falling))
    bands[0] = 0
    return bands


def features(samples: np.ndarray) -> np.ndarray:
    """f64 [frames, BANDS] in 0 .. 1 of samples [n]."""
    sharp = np.append(samples[0], samples[1:] - (1 - 2**-5) * samples[:-1])
    starts = range(0, len(sharp) - FRAME + 1, HOP)
    frames = np.stack([sharp[at : at + FRAME] for at in starts]) * np.hamming(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2 / FRAME
    energy = np.maximum(power, 1e-30) @ _mel_bands(FRAME // 2 + 1)
    return np.clip((10 * np.log10(np.maximum(energy, 1e-30)) + 52) / 64, 0, 1)
