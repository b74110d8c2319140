#include "worker/bench/kernel_class.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

void ExpectClass(KernelClass expected, std::initializer_list<const char*> names) {
  for (const char* name : names) EXPECT_EQ(ClassOfKernel(name), expected) << name;
}

TEST(KernelClassTest, Gemm) {
  ExpectClass(
      KernelClass::kGemm,
      {"nvjet_hsh_256x128_64x4_1x2_h_bz_coopB_bias_TNT",
       "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_bias_bf16",
       "void "
       "cutlass::Kernel2<cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16_16x16_128x2_tn_align8>",
       "void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<cute::Copy_Atom<float>>>",
       "void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16>", "aten::addmm",
       "aten::linear", "aten::_scaled_mm", "mkldnn::_linear_pointwise"});
}

TEST(KernelClassTest, Attention) {
  ExpectClass(
      KernelClass::kAttention,
      {"void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128, 32, 4>>",
       "fmha_cutlassF_bf16_aligned_64x128_rf_sm80(PyTorchMemEffAttention::AttentionKernel)",
       "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128",
       "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::scaled_dot_product_attention"});
}

TEST(KernelClassTest, Copies) {
  ExpectClass(KernelClass::kCopy,
              {"Memcpy DtoD (Device -> Device)", "Memset (Device)",
               "void at::native::elementwise_kernel<128, 4, at::native::direct_copy_kernel_cuda>",
               "void at::native::CatArrayBatchedCopy<at::native::OpaqueType<2u>, unsigned, 3, 64>",
               "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>>",
               "aten::copy_", "aten::cat", "aten::fill_"});
}

TEST(KernelClassTest, ElementWise) {
  ExpectClass(
      KernelClass::kElementWise,
      {"void at::native::vectorized_layer_norm_kernel<c10::BFloat16, float>",
       "void at::native::vectorized_elementwise_kernel<8, at::native::CUDAFunctor_add>",
       "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, MeanOps>>",
       "void tessera::cuda::LayerNormModulateKernel<__nv_bfloat16, 8>",
       "void tessera::cuda::GeluTanhKernel<__nv_bfloat16, 8>", "aten::gelu", "aten::rms_norm"});
}

}  // namespace
}  // namespace tessera
