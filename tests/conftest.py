"""Data shared by tests: a small set of synthetic identities as Parquet, and where the real sets are."""

import os
import sys
from pathlib import Path

import numba
import pytest
from hypothesis import HealthCheck, settings

from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.paths import ROOT, ROWS

# Read when torch and faiss are loaded, here and in jobs that tests start: what is small is slower on many threads, and
# threads that spin while they wait slow a busy machine down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A busy machine makes an example slow.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> str:
    """2,500 rows of width 48 in two files."""
    folder = tmp_path_factory.mktemp("identities")
    config = SyntheticConfig(rows=ROWS, width=48, effective_dimension=48, mean_size=6, max_size=60, same_cosine=0.85)
    write_parquet(config, str(folder), rows_per_file=1500)
    return str(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real embedding sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("RAYCLUSTER_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "lfw_test.parquet").exists():
        pytest.skip(f"the real embedding sets are not in {folder}; set RAYCLUSTER_DATA")
    return folder


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Every test begins with one thread of torch and all of numba's, whatever another has set."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
