// One 64x8x16 matrix product, d = a * b, done by one warpgroup of 128 threads.
//
// a is 64 rows of 16 fp16 values, b is 8 columns of 16 fp16 values (each column's values side by side), d is 64 rows of 8
// fp32 values. The caller picks small whole numbers, for which every step is exact, and compares all 512 results.
//
// On sm_90a the product is one wgmma instruction, which only Hopper's own architecture (the "a") has. Other targets
// compute the same result with ordinary arithmetic, so that the probe can be built for them too.

typedef unsigned short half_bits;  // no header beyond CUDA's own: cuda_fp16.h would drag in all of CCCL

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

// PTX ISA, "asynchronous warpgroup level matrix instructions", shared memory layout without swizzle: "core matrices" of
// 8 rows x 16 bytes, each contiguous. Here the two core matrices along k are neighbours (128 bytes apart), and each group
// of 8 rows follows the one before (256 bytes apart).
constexpr unsigned core_bytes = 128, rows_bytes = 2 * core_bytes;

__device__ unsigned place(unsigned row, unsigned k) {
    return (row / 8 * rows_bytes + k / 8 * core_bytes + row % 8 * 16) / sizeof(half_bits) + k % 8;
}

__device__ unsigned long long descriptor(const half_bits* tile) {
    unsigned long long address = __cvta_generic_to_shared(tile);
    return (address & 0x3FFFF) >> 4 | (unsigned long long)(core_bytes >> 4) << 16 |
           (unsigned long long)(rows_bytes >> 4) << 32;
}

extern "C" __global__ void __launch_bounds__(128) mirror_probe(const half_bits* a, const half_bits* b, float* d) {
    __shared__ alignas(128) half_bits tile_a[64 * 16], tile_b[8 * 16];
    for (unsigned i = threadIdx.x; i < 64 * 16; i += 128) tile_a[place(i / 16, i % 16)] = a[i];
    for (unsigned i = threadIdx.x; i < 8 * 16; i += 128) tile_b[place(i / 16, i % 16)] = b[i];
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");  // wgmma reads shared memory through the async proxy
    __syncthreads();

    float r[4] = {-1, -1, -1, -1};  // overwritten, for accumulate is 0
    asm volatile(
        "{\n"
        ".reg .pred accumulate;\n"
        "setp.ne.b32 accumulate, %6, 0;\n"
        "wgmma.fence.sync.aligned;\n"
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %4, %5, accumulate, 1, 1, 0, 0;\n"
        "wgmma.commit_group.sync.aligned;\n"
        "wgmma.wait_group.sync.aligned 0;\n"
        "}\n"
        : "+f"(r[0]), "+f"(r[1]), "+f"(r[2]), "+f"(r[3])
        : "l"(descriptor(tile_a)), "l"(descriptor(tile_b)), "r"(0)
        : "memory");

    // Each warp holds 16 rows; a thread holds two neighbours in row lane/4 and the same two, 8 rows below.
    unsigned row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
    for (unsigned i = 0; i < 4; i++) d[(row + i / 2 * 8) * 8 + column + i % 2] = r[i];
}

#else

__device__ float value(half_bits bits) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(bits));
    return result;
}

extern "C" __global__ void __launch_bounds__(128) mirror_probe(const half_bits* a, const half_bits* b, float* d) {
    for (unsigned i = threadIdx.x; i < 64 * 8; i += 128) {
        float sum = 0;
        for (unsigned k = 0; k < 16; k++) sum += value(a[i / 8 * 16 + k]) * value(b[i % 8 * 16 + k]);
        d[i] = sum;
    }
}

#endif
