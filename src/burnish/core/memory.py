"""Which errors mean that memory ran out: the libraries say it in many words and few types."""

_TYPES = ("MemoryError", "OutOfMemoryError")
_WORDS = (
    "out of memory",  # CUDA, its driver, Apple's MPS
    "can't allocate memory",  # torch's allocator on a CPU
    "DefaultCPUAllocator: not enough memory",
    "std::bad_alloc",
    "could not create a memory object",  # oneDNN
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    *(f"{library}_STATUS_ALLOC_FAILED" for library in ("CUBLAS", "CUDNN", "CUSOLVER", "CUSPARSE", "CUFFT")),
    "CUFFT_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",  # its workspace did not fit
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error of that type, or one of a library that says so in words."""
    if any(kind.__name__ in _TYPES for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def first_line(error: BaseException) -> str:
    """What an error says, without the advice and the stack that libraries add below."""
    return next(iter(str(error).splitlines()), type(error).__name__)
