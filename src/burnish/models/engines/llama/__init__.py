"""llama.cpp in this process, by the C API of the library inside the `xllamacpp` wheel."""
