#include "bench/svg_chart.hpp"

#include "bench/quantity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace confab::bench {

namespace {

// In the units of the viewBox; the page scales it to its width.
constexpr double width = 860, height = 340;
constexpr double left = 78, right = 34, top = 16, bottom = 52;
constexpr std::size_t looks = 6;
constexpr std::array<std::string_view, looks> dashes{"", "7 3", "2 3", "11 3 2 3", "4 2", "1 2"};

std::string number(double x) {
  std::array<char, 32> text;
  auto n = std::snprintf(text.data(), text.size(), "%.1f", x);
  return {text.data(), static_cast<std::size_t>(std::max(n, 0))};
}

double x_of(double share) {
  return left + std::clamp(share, 0.0, 1.0) * (width - left - right);
}
double y_of(double share) {
  return height - bottom - std::clamp(share, 0.0, 1.0) * (height - top - bottom);
}

std::string line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return "<line class=\"" + std::string{kind} + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) +
         "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\"/>";
}

std::string words(double x, double y, std::string_view anchor, std::string_view text,
                  std::string_view more = {}) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" +
         std::string{anchor} + "\"" + std::string{more} + '>' + escaped(text) + "</text>";
}

std::string style_of(std::size_t i) {
  auto dash = dashes[i % looks];
  return " style=\"stroke:var(--curve-" + std::to_string(i % looks) + ")\"" +
         (dash.empty() ? "" : " stroke-dasharray=\"" + std::string{dash} + '"');
}

void add_axes(std::string& out, const chart& x) {
  for (const auto& t : x.y_ticks) {
    out += line(left, y_of(t.at), width - right, y_of(t.at), "grid");
    out += words(left - 8, y_of(t.at) + 4, "end", t.text);
  }
  for (const auto& t : x.x_ticks) {
    out += line(x_of(t.at), y_of(0), x_of(t.at), y_of(0) + 5, "axis");
    out += words(x_of(t.at), y_of(0) + 19, "middle", t.text);
  }
  out += line(left, y_of(0), width - right, y_of(0), "axis");
  out += words((left + width - right) / 2, height - 10, "middle", x.x_label);
  const auto middle = number((top + height - bottom) / 2);
  out +=
      words(0, 0, "middle", x.y_label, " transform=\"translate(14 " + middle + ") rotate(-90)\"");
}

void add_curve(std::string& out, const curve& x, std::size_t i) {
  if (x.points.size() == 1)
    out += "<circle cx=\"" + number(x_of(x.points[0].first)) + "\" cy=\"" +
           number(y_of(x.points[0].second)) + "\" r=\"3\" style=\"fill:var(--curve-" +
           std::to_string(i % looks) + ")\"/>";
  out += "<polyline class=\"curve\"" + style_of(i) + " points=\"";
  for (const auto& [at, value] : x.points)
    out += number(x_of(at)) + ',' + number(y_of(value)) + ' ';
  out += "\"/>";
}

void add_legend(std::string& out, const std::vector<curve>& all) {
  if (all.size() < 2)
    return;
  double y = top + 12;
  for (std::size_t i = 0; i < all.size(); ++i, y += 18) {
    out += "<line class=\"curve\"" + style_of(i) + " x1=\"" + number(left + 14) + "\" y1=\"" +
           number(y - 4) + "\" x2=\"" + number(left + 44) + "\" y2=\"" + number(y - 4) + "\"/>";
    out += words(left + 51, y, "start", all[i].name, " class=\"legend\"");
  }
}

} // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : printable(text)) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      out += c;
    }
  }
  return out;
}

std::vector<double> linear_steps(double max) {
  if (!(max > 0) || !std::isfinite(max))
    return {0, 1};
  // 1, 2 or 5 times a power of ten, at most six of them.
  const auto power = std::pow(10, std::floor(std::log10(max / 6)));
  auto step = power;
  for (double factor : {2.0, 5.0, 10.0})
    if (max / step > 6)
      step = power * factor;
  std::vector<double> steps;
  const auto count = static_cast<int>(std::ceil(max / step - 1e-9));
  for (int i = 0; i <= count; ++i)
    steps.push_back(step * i);
  return steps;
}

std::string svg_of(const chart& x, std::string_view id) {
  const std::string name{id};
  std::string out = "<svg viewBox=\"0 0 " + number(width) + ' ' + number(height) +
                    "\" role=\"img\" aria-labelledby=\"" + name + "-title " + name +
                    "-summary\"><title id=\"" + name + "-title\">" + escaped(x.title) +
                    "</title><desc id=\"" + name + "-summary\">" + escaped(x.summary) + "</desc>";
  add_axes(out, x);
  for (std::size_t i = 0; i < x.curves.size(); ++i)
    add_curve(out, x.curves[i], i);
  add_legend(out, x.curves);
  return out + "</svg>";
}

} // namespace confab::bench
