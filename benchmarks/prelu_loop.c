/* The loop of a PReLU, written in two ways, on values of mixed sign.
 *
 *     gcc -O3 benchmarks/prelu_loop.c -o prelu_loop && ./prelu_loop
 *
 * A compiler that has to keep floating-point exceptions (gcc's default) may not compute a product that the source
 * would skip. So the conditional stays a jump, and the loop scalar. The sum of the two sides has no such product.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHANNELS = 64, ELEMENTS = 112 * 112, REPEATS = 50 };

typedef void loop(const float *x, float a, float *y, size_t count);

__attribute__((noinline)) static void conditional(const float *x, float a, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = x[i] >= 0 ? x[i] : x[i] * a;
}

__attribute__((noinline)) static void two_sides(const float *x, float a, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const float positive = 0.0f > x[i] ? 0.0f : x[i]; /* in this order a NaN stays a NaN */
    const float negative = x[i] < 0.0f ? x[i] : 0.0f;
    y[i] = positive + a * negative;
  }
}

static double microseconds(loop *run, const float *x, float *y) {
  double best = INFINITY;
  for (int repeat = 0; repeat < REPEATS; repeat++) {
    struct timespec start, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (size_t c = 0; c < CHANNELS; c++) run(x + c * ELEMENTS, 0.25f, y + c * ELEMENTS, ELEMENTS);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double now = (end.tv_sec - start.tv_sec) * 1e6 + (end.tv_nsec - start.tv_nsec) / 1e3;
    if (now < best) best = now;
  }
  return best;
}

static void show(const char *name, loop *run, const float *x, float *y) {
  const float special[4] = {INFINITY, -INFINITY, NAN, -2.0f};
  float now[4];
  printf("%-12s %6.0f us", name, microseconds(run, x, y));
  run(special, 0.25f, now, 4);
  printf("   inf -> %g, -inf -> %g, nan -> %g, -2 -> %g\n", now[0], now[1], now[2], now[3]);
}

int main(void) {
  float *x = malloc(sizeof(float) * CHANNELS * ELEMENTS), *y = malloc(sizeof(float) * CHANNELS * ELEMENTS);
  if (x == NULL || y == NULL) return 1;
  for (size_t i = 0; i < (size_t)CHANNELS * ELEMENTS; i++) x[i] = rand() / (float)RAND_MAX - 0.5f;
  show("conditional", conditional, x, y);
  show("two sides", two_sides, x, y);
  return 0;
}
