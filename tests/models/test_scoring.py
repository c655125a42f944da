"""Which code scores: compiled loops or torch."""

import subprocess
import sys

from raycluster.models.arithmetic import Arithmetic, in_force
from raycluster.models.card import load_card
from raycluster.models.processors import common
from raycluster.models.scoring import is_compiled
from support import tiny


def test_torch_computes_on_gpus_among_several_processors_and_other_forms(tmp_path, monkeypatch):
    card, row_form = load_card("auto")[0], tiny.model(tmp_path, "row", "none")
    assert not is_compiled(row_form)
    with in_force(Arithmetic("float32", "gpu")):
        assert not is_compiled(card)
    with in_force(Arithmetic("float32", "cpu", common("avx2", False, False))):
        assert not is_compiled(card)
    monkeypatch.setattr("raycluster.models.scoring.fast_on_gpu", lambda: True)
    assert not is_compiled(card)
    monkeypatch.setattr("raycluster.models.scoring.fast_on_gpu", lambda: None)
    assert is_compiled(card)


def test_the_default_recipe_never_loads_torch():
    code = (
        "import sys, numpy as np; from raycluster import Clusterer; "
        "X = np.repeat(np.eye(30), 5, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(150, 30)); "
        "labels = Clusterer('auto', n_neighbors=20).fit_predict(X); "
        "print(len(set(labels)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["30", "False"], (done.stdout, done.stderr)
