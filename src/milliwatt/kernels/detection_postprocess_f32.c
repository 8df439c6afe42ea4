/* detection_postprocess: boxes from anchors, overlapping ones suppressed, f32.
 *
 * out = {boxes, classes, scores, found}. Greedy: the box with the highest score stays, those that
 * overlap it by more than iou_threshold go, and so on; for each class by itself where `regular`,
 * else for the best class of each box. What stays is inserted into the results, highest first.
 *
 * Layouts: boxes [count,stride] of (y, x, h, w, ...) relative to anchors [count,4], scores
 * [count,columns], the background's first. Ranges: all; boxes without area overlap nothing.
 * Workspace: 21 * count bytes: corners, scores, which boxes are left.
 * Rounding: float32's. Source: TensorFlow Lite Micro, TFLite_Detection_PostProcess.
 */
#include "mw.h"
#include "mw_math.h"

typedef const mw_detection_postprocess_f32_params mw_detection;

/* corners = (ymin, xmin, ymax, xmax) of every box. */
static void mw_corners(float *corners, const float *boxes, const float *anchors,
                       mw_detection *p) {
  for (int32_t n = 0; n < p->count; n++, boxes += p->stride, anchors += 4, corners += 4) {
    float y = boxes[0] / p->y_scale * anchors[2] + anchors[0];
    float x = boxes[1] / p->x_scale * anchors[3] + anchors[1];
    float h = 0.5f * mw_exp_any_f32(boxes[2] / p->h_scale) * anchors[2];
    float w = 0.5f * mw_exp_any_f32(boxes[3] / p->w_scale) * anchors[3];
    corners[0] = y - h, corners[1] = x - w, corners[2] = y + h, corners[3] = x + w;
  }
}

/* Intersection over union. */
static float mw_overlap(const float *a, const float *b) {
  float a_area = (a[2] - a[0]) * (a[3] - a[1]), b_area = (b[2] - b[0]) * (b[3] - b[1]);
  if (a_area <= 0.0f || b_area <= 0.0f) return 0.0f;
  float height = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
  float width = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
  if (height <= 0.0f || width <= 0.0f) return 0.0f;
  float both = height * width;
  return both / (a_area + b_area - both);
}

/* The class with the highest score, the first of equal ones; NaN is passed over. */
static int32_t mw_best_class(const float *scores, int32_t classes) {
  int32_t best = 0;
  for (int32_t c = 1; c < classes; c++) {
    if (scores[c] > scores[best] || scores[best] != scores[best]) best = c;
  }
  return best;
}

/* The box with the highest score of those left, the first of equal ones; -1 for none. */
static int32_t mw_highest(const float *scores, const uint8_t *alive, int32_t count) {
  int32_t best = -1;
  for (int32_t n = 0; n < count; n++) {
    if (alive[n] && (best < 0 || scores[n] > scores[best])) best = n;
  }
  return best;
}

/* Put a detection behind those whose score is as high; the last goes where there is no room. */
static void mw_insert(float *out, int32_t *found, const float *box, int32_t class, float score,
                      mw_detection *p) {
  float *classes = out + p->classes_at, *scores = out + p->scores_at;
  int32_t at = *found;
  if (at < p->most) ++*found;
  else if (!(scores[--at] < score)) return;
  for (; at > 0 && scores[at - 1] < score; at--) {
    memcpy(out + 4 * at, out + 4 * (at - 1), 4 * sizeof(float));
    classes[at] = classes[at - 1], scores[at] = scores[at - 1];
  }
  memcpy(out + 4 * at, box, 4 * sizeof(float));
  classes[at] = (float)class, scores[at] = score;
}

void mw_detection_postprocess_f32(uint8_t *out, const float *boxes, const float *scores,
                                  const float *anchors,
                                  const mw_detection_postprocess_f32_params *params,
                                  void *workspace) {
  int32_t count = params->count, columns = params->columns, found = 0;
  float *corners = workspace, *held = corners + 4 * count, *made = (float *)(void *)out;
  uint8_t *alive = (uint8_t *)(held + count);
  memset(out, 0, (size_t)params->end * sizeof(float));
  mw_corners(corners, boxes, anchors, params);
  scores += columns - params->classes;
  for (int32_t pass = 0; pass < (params->regular ? params->classes : 1); pass++) {
    for (int32_t n = 0; n < count; n++) {
      const float *row = scores + n * columns;
      held[n] = row[params->regular ? pass : mw_best_class(row, params->classes)];
      alive[n] = held[n] >= params->score_threshold;
    }
    for (int32_t left = params->regular ? params->per_class : params->most; left > 0; left--) {
      int32_t best = mw_highest(held, alive, count), class = pass;
      if (best < 0) break;
      if (!params->regular) class = mw_best_class(scores + best * columns, params->classes);
      const float *box = corners + 4 * best;
      mw_insert(made, &found, box, class, held[best], params);
      alive[best] = 0;
      for (int32_t n = 0; n < count; n++) {
        if (alive[n] && mw_overlap(box, corners + 4 * n) > params->iou_threshold) alive[n] = 0;
      }
    }
  }
  made[params->found_at] = (float)found;
}
