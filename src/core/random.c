#include "core/random.h"

#include <Random123/philox.h>

static uint64_t Bits(CordsRandomKey key, uint32_t position)
{
  philox4x32_ctr_t counter = {{position, key.epoch, (uint32_t)key.sample, (uint32_t)(key.sample >> 32)}};
  philox4x32_key_t philox_key = {{(uint32_t)key.seed, (uint32_t)(key.seed >> 32) ^ ((uint32_t)key.purpose << 24)}};
  philox4x32_ctr_t out = philox4x32(counter, philox_key);

  return ((uint64_t)out.v[1] << 32) | out.v[0];
}

double CordsRandomUniform(CordsRandomKey key, uint32_t position)
{
  return (double)(Bits(key, position) >> 11) * 0x1p-53;
}

uint64_t CordsRandomBelow(CordsRandomKey key, uint32_t position, uint64_t n)
{
  return (uint64_t)(((unsigned __int128)Bits(key, position) * n) >> 64);
}
