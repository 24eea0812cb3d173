/* A libcuda.so.1 for machines without a GPU: as many functions of NVIDIA's driver as the probe calls, on the CPU.
 *
 * FAKE_GPUS is a list such as "90,80:9" (compute capability, and an optional CUresult with which its kernels fail);
 * FAKE_FAULT=wrong adds 1 to one result. cuLaunchKernel does what kernel.cu says: d = a * b, 64x8x16.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int capability[16], failure[16], count, current = -1, contexts, allocations;

static float half_to_float(uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    float value = exponent ? 1 + mantissa / 1024.0f : mantissa / 1024.0f;
    for (int power = exponent ? exponent - 15 : -14; power > 0; power--) value *= 2;
    for (int power = exponent ? exponent - 15 : -14; power < 0; power++) value /= 2;
    return bits >> 15 ? -value : value;
}

int cuInit(unsigned flags) {
    const char *list = getenv("FAKE_GPUS");
    if (flags) return 1;
    if (!list) return 100;
    for (count = 0; *list; count++) {
        char *end;
        capability[count] = strtol(list, &end, 10);
        if (*end == ':') failure[count] = strtol(end + 1, &end, 10);
        list = *end ? end + 1 : end;
    }
    return 0;
}
int cuGetErrorName(int status, const char **name) {
    *name = status == 100 ? "CUDA_ERROR_NO_DEVICE" : status == 9 ? "CUDA_ERROR_MADE_UP" : 0;
    return *name ? 0 : 1;
}
int cuDriverGetVersion(int *version) { return *version = 13010, 0; }
int cuDeviceGetCount(int *number) { return *number = count, 0; }
int cuDeviceGet(int *device, int index) { return *device = index + 100, 0; }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, "Fake %d", device - 100), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int number = capability[device - 100];
    if (attribute != 75 && attribute != 76) return 1;
    return *value = attribute == 75 ? number / 10 : number % 10, 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    contexts++;
    return *context = (void *)(intptr_t)device, 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return (void)device, contexts--, 0; }
int cuCtxSetCurrent(void *context) { return current = context ? (int)(intptr_t)context - 100 : -1, 0; }
int cuCtxSynchronize(void) { return current < 0 ? 201 : 0; }
int cuModuleLoadData(void **module, const char *image) {
    if (current < 0 || strncmp(image, "machine code", 12)) return 200;
    return *module = (void *)1, 0;
}
int cuModuleUnload(void *module) { return (void)module, 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    if (!module || strcmp(name, "mirror_probe")) return 500;
    return *function = (void *)2, 0;
}
int cuMemAlloc_v2(uint64_t *address, size_t size) {
    allocations++;
    return *address = (uint64_t)(uintptr_t)malloc(size), 0;
}
int cuMemFree_v2(uint64_t address) { return free((void *)(uintptr_t)address), allocations--, 0; }
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) { return memcpy((void *)(uintptr_t)to, from, size), 0; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { return memcpy(to, (void *)(uintptr_t)from, size), 0; }
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
    if (function != (void *)2 || gx != 1 || gy != 1 || gz != 1 || bx != 128 || by != 1 || bz != 1) return 1;
    if (shared || stream || extra || contexts != 1 || allocations != 3) return 1;
    if (failure[current]) return failure[current];
    uint16_t *a = *(uint16_t **)arguments[0], *b = *(uint16_t **)arguments[1];
    float *d = *(float **)arguments[2];
    for (int i = 0; i < 512; i++) {
        d[i] = 0;
        for (int k = 0; k < 16; k++) d[i] += half_to_float(a[i / 8 * 16 + k]) * half_to_float(b[i % 8 * 16 + k]);
    }
    if (getenv("FAKE_FAULT")) d[83] += 1;
    return 0;
}
