// d = a * b with what only Hopper has: the bulk copy engine (TMA) brings both tiles into shared memory and reports to an
// mbarrier, one warpgroup multiplies them with wgmma. Whole numbers, so that every result is exact.
//
//   nvcc -gencode=arch=compute_90a,code=sm_90a -o tma_wgmma tma_wgmma.cu && ./tma_wgmma
//
// Exit code 0 when all 64x64 results are right, 1 when one is wrong, 2 when CUDA refuses.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <vector>

constexpr int M = 64, N = 64, K = 64;
constexpr unsigned CORE = 128, A_BYTES = M * K * 2, B_BYTES = N * K * 2;

// PTX ISA, shared memory layout without swizzle: core matrices of 8 rows x 16 bytes, each contiguous. The host has put the
// tiles into that order, core matrices along k next to each other, so one bulk copy brings a whole tile.
__host__ __device__ inline unsigned place(unsigned row, unsigned k) {
    return (row / 8 * (K / 8) + k / 8) * CORE / 2 + row % 8 * 8 + k % 8;
}

__device__ inline uint64_t descriptor(const __half* tile) {
    uint64_t address = __cvta_generic_to_shared(tile);
    return (address & 0x3FFFF) >> 4 | (uint64_t)(CORE >> 4) << 16 | (uint64_t)(CORE * (K / 8) >> 4) << 32;
}

__global__ void __launch_bounds__(128) product(const __half* a, const __half* b, float* d) {
    __shared__ alignas(128) __half tile_a[M * K], tile_b[N * K];
    __shared__ alignas(8) uint64_t arrived;
    unsigned barrier = (unsigned)__cvta_generic_to_shared(&arrived);
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(A_BYTES + B_BYTES) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         (unsigned)__cvta_generic_to_shared(tile_a)), "l"(a), "r"(A_BYTES), "r"(barrier) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         (unsigned)__cvta_generic_to_shared(tile_b)), "l"(b), "r"(B_BYTES), "r"(barrier) : "memory");
    }
    __syncthreads();
    asm volatile(
        "{\n.reg .pred done;\n"
        "WAIT:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], 0;\n"
        "@!done bra WAIT;\n}\n" ::"r"(barrier) : "memory");

    float r[N / 8][4];
    for (int n = 0; n < N / 8; n++)
        for (int i = 0; i < 4; i++) r[n][i] = 0;
#pragma unroll
    for (int n = 0; n < N / 8; n++) {
        const __half* columns = tile_b + n * (K / 8) * CORE / 2;  // 8 of them; each step takes 16 of k, two core matrices
        asm volatile(
            "wgmma.fence.sync.aligned;\n"
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %4, %5, 1, 1, 1, 0, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %6, %7, 1, 1, 1, 0, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %8, %9, 1, 1, 1, 0, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %10, %11, 1, 1, 1, 0, 0;\n"
            "wgmma.commit_group.sync.aligned;\n"
            "wgmma.wait_group.sync.aligned 0;\n"
            : "+f"(r[n][0]), "+f"(r[n][1]), "+f"(r[n][2]), "+f"(r[n][3])
            : "l"(descriptor(tile_a)), "l"(descriptor(columns)), "l"(descriptor(tile_a + CORE)),
              "l"(descriptor(columns + CORE)), "l"(descriptor(tile_a + 2 * CORE)), "l"(descriptor(columns + 2 * CORE)),
              "l"(descriptor(tile_a + 3 * CORE)), "l"(descriptor(columns + 3 * CORE))
            : "memory");
    }
    // Each warp holds 16 rows; a thread holds two neighbours in row lane/4 and the same two, 8 rows below.
    int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
    for (int n = 0; n < N / 8; n++)
        for (int i = 0; i < 4; i++) d[(row + i / 2 * 8) * N + n * 8 + column + i % 2] = r[n][i];
}

static int refused(const char* what, cudaError_t code) {
    std::printf("%s: %s\n", what, cudaGetErrorString(code));
    return 2;
}

int main() {
    std::vector<__half> a(M * K), b(N * K);
    auto value_a = [](int row, int k) { return (row * 7 + k * 3) % 11 - 5; };
    auto value_b = [](int column, int k) { return (column * 5 + k * 2) % 13 - 6; };
    for (int row = 0; row < M; row++)
        for (int k = 0; k < K; k++) a[place(row, k)] = __float2half((float)value_a(row, k));
    for (int column = 0; column < N; column++)
        for (int k = 0; k < K; k++) b[place(column, k)] = __float2half((float)value_b(column, k));
    __half *device_a, *device_b;
    float* device_d;
    if (cudaError_t code = cudaMalloc(&device_a, A_BYTES)) return refused("cudaMalloc", code);
    if (cudaError_t code = cudaMalloc(&device_b, B_BYTES)) return refused("cudaMalloc", code);
    if (cudaError_t code = cudaMalloc(&device_d, M * N * sizeof(float))) return refused("cudaMalloc", code);
    cudaMemcpy(device_a, a.data(), A_BYTES, cudaMemcpyHostToDevice);
    cudaMemcpy(device_b, b.data(), B_BYTES, cudaMemcpyHostToDevice);
    product<<<1, 128>>>(device_a, device_b, device_d);
    if (cudaError_t code = cudaDeviceSynchronize()) return refused("the kernel", code);
    std::vector<float> d(M * N);
    cudaMemcpy(d.data(), device_d, M * N * sizeof(float), cudaMemcpyDeviceToHost);
    int wrong = 0;
    for (int row = 0; row < M; row++)
        for (int column = 0; column < N; column++) {
            int expected = 0;
            for (int k = 0; k < K; k++) expected += value_a(row, k) * value_b(column, k);
            wrong += d[row * N + column] != (float)expected;
        }
    std::printf("TMA + wgmma: %d of %d results of a 64x64x64 fp16 matrix product are exact\n", M * N - wrong, M * N);
    return wrong != 0;
}
