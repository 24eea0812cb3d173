"""The few functions of NVIDIA's driver (libcuda.so.1) that the probe needs, called through ctypes.

Rules: every call's result is looked at; what a ``with`` block took is given back at its end. No CUDA toolkit, no torch.

Example::

    driver = Driver()
    with driver.context(0):
        ...
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p

_LIBRARY = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*

_SIGNATURES = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuModuleLoadData": (POINTER(c_void_p), c_char_p),
    "cuModuleUnload": (c_void_p,),
    "cuModuleGetFunction": (POINTER(c_void_p), c_void_p, c_char_p),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoD_v2": (c_uint64, c_char_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_char_p, c_uint64, c_size_t),
    "cuLaunchKernel": (c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), c_void_p),
}


class NoDriver(Exception):
    """There is no NVIDIA driver on this machine, or no GPU behind it."""


class DriverError(Exception):
    """A function of the driver failed; the text says which and how."""


class Driver:
    """The driver, loaded and initialised.

    Raises:
        NoDriver: on making one where there is no driver or no GPU.
    """

    def __init__(self, library: str = _LIBRARY) -> None:
        try:
            self._cuda = ctypes.CDLL(library)
        except OSError as exc:
            raise NoDriver(f"no NVIDIA driver on this machine: {exc}") from None
        for name, arguments in _SIGNATURES.items():
            getattr(self._cuda, name).argtypes = arguments
        try:
            self.call("cuInit", 0)
        except DriverError as exc:
            raise NoDriver(f"the NVIDIA driver finds no GPU that it can use: {exc}") from None

    def call(self, name: str, *arguments: object) -> None:
        """Call a function. Raises ``DriverError`` unless it says success."""
        status = getattr(self._cuda, name)(*arguments)
        if status != 0:
            text = c_char_p()
            self._cuda.cuGetErrorName(status, byref(text))
            words = text.value.decode() if text.value else "unknown error"
            raise DriverError(f"{name} failed with {words} ({status})")

    def version(self) -> str:
        """The newest CUDA that this driver supports, such as ``"13.0"``."""
        number = c_int()
        self.call("cuDriverGetVersion", byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def count(self) -> int:
        number = c_int()
        self.call("cuDeviceGetCount", byref(number))
        return number.value

    def name(self, index: int) -> str:
        text = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", text, len(text), self._device(index))
        return text.value.decode("utf-8", "replace")

    def capability(self, index: int) -> tuple[int, int]:
        numbers = (c_int(), c_int())
        for number, attribute in zip(numbers, (_MAJOR, _MINOR)):
            self.call("cuDeviceGetAttribute", byref(number), attribute, self._device(index))
        return numbers[0].value, numbers[1].value

    @contextmanager
    def context(self, index: int) -> Iterator[None]:
        """Make a GPU the current one of this thread."""
        device, handle = self._device(index), c_void_p()
        self.call("cuDevicePrimaryCtxRetain", byref(handle), device)
        try:
            self.call("cuCtxSetCurrent", handle)
            yield
        finally:
            self._cuda.cuCtxSetCurrent(None)
            self._cuda.cuDevicePrimaryCtxRelease_v2(device)

    @contextmanager
    def function(self, image: bytes, name: str) -> Iterator[c_void_p]:
        """Load machine code into the current GPU and find a kernel in it."""
        module, function = c_void_p(), c_void_p()
        self.call("cuModuleLoadData", byref(module), image)
        try:
            self.call("cuModuleGetFunction", byref(function), module, name.encode("ascii"))
            yield function
        finally:
            self._cuda.cuModuleUnload(module)

    @contextmanager
    def memory(self, data: bytes) -> Iterator[c_uint64]:
        """Memory of the current GPU that begins with these bytes."""
        address = c_uint64()
        self.call("cuMemAlloc_v2", byref(address), len(data))
        try:
            self.call("cuMemcpyHtoD_v2", address, data, len(data))
            yield address
        finally:
            self._cuda.cuMemFree_v2(address)

    def launch(self, function: c_void_p, threads: int, arguments: tuple[c_uint64, ...]) -> None:
        """Run one block of a kernel and wait for its end."""
        pointers = (c_void_p * len(arguments))(*[ctypes.addressof(argument) for argument in arguments])
        self.call("cuLaunchKernel", function, 1, 1, 1, threads, 1, 1, 0, None, pointers, None)
        self.call("cuCtxSynchronize")

    def read(self, address: c_uint64, size: int) -> bytes:
        data = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", data, address, size)
        return data.raw

    def _device(self, index: int) -> int:
        device = c_int()
        self.call("cuDeviceGet", byref(device), index)
        return device.value
