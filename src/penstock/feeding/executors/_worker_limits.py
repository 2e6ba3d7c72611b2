"""What holds for worker processes, whoever starts them."""

from __future__ import annotations

DEATHS = 3  # a batch whose worker dies that often kills it, and no accident does
# Workers are many: one thread each. They see no accelerator, which belongs to the training process.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # glibc gives large arrays back at once and gets the next ones page by page, zeroed: a fifth of the time of a batch
    # of 69 MB that NumPy makes in three steps. A worker needs as much for its next batch.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
