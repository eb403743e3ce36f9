/// The looks and the behaviour of a page: all that a browser needs is in the page itself.
enum PageStyle {
  static let css =
    PlotStyle.palette + PlotStyle.rules + """
      *{box-sizing:border-box}
      html{color-scheme:light dark}
      body{margin:0 auto;max-width:1200px;padding:20px 24px 48px;background:var(--ground);color:var(--ink);
      font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
      h1{font-size:24px;line-height:1.25;margin:8px 0 4px}
      h2{font-size:18px;margin:36px 0 8px}
      h3{font-size:15px;margin:20px 0 4px}
      p{margin:6px 0;max-width:80ch}
      .dim{color:var(--dim)}
      .plots{display:grid;grid-template-columns:1fr 1fr;gap:20px 28px;margin-top:12px}
      .legend{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;margin:12px 0 0;padding:0;font-size:13px}
      .sample{width:26px;height:12px;margin-right:7px;vertical-align:-1px}
      figure{margin:0;position:relative;min-width:0}
      figure svg{display:block;width:100%;height:auto;touch-action:pan-y}
      .narrow{display:none!important}
      .tip{position:absolute;pointer-events:none;z-index:1;padding:5px 9px;border:1px solid var(--grid);border-radius:6px;
      background:var(--ground);font-size:13px;line-height:1.45;box-shadow:0 2px 8px #0003;max-width:260px}
      .tip b{font-weight:600}
      .swatch{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);margin-right:7px}
      .again{opacity:.55}
      table{border-collapse:collapse;margin:8px 0;width:100%;font-variant-numeric:tabular-nums}
      caption{text-align:left;color:var(--dim);padding:4px 0}
      .scroll{overflow-x:auto}
      th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--grid);vertical-align:top;
      overflow-wrap:break-word}
      thead th{color:var(--dim);font-weight:500;font-size:13px}
      tbody th{font-weight:600;min-width:7em;max-width:18em;overflow-wrap:anywhere}
      td.n{white-space:nowrap}
      .n{text-align:right}
      pre{margin:4px 0 12px;padding:9px 12px;border:1px solid var(--grid);border-radius:6px;white-space:pre-wrap;
      font:13px/1.5 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
      .word{display:inline-block;max-width:100%}
      details{margin:8px 0}
      summary{cursor:pointer}
      footer{margin-top:40px;color:var(--dim);font-size:13px}
      @media (max-width:899px){.plots{grid-template-columns:1fr}}
      @media (max-width:600px){
      body{padding:12px 14px 32px}
      .wide{display:none!important}
      .narrow{display:block!important}
      table,caption,tbody,tr,td,tbody th{display:block}
      thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
      tr{padding:6px 0;border-bottom:1px solid var(--grid)}
      .scroll{overflow-x:visible}
      tbody th{max-width:none}
      th,td,td.n{border:0;padding:1px 0;text-align:left;white-space:normal;overflow-wrap:anywhere}
      td[data-label]{display:flex;justify-content:space-between;gap:16px}
      td[data-label]::before{content:attr(data-label);color:var(--dim);flex:none;max-width:55%}
      td[data-label]>span{text-align:right}
      td.empty{display:none}
      }

      """

  /// Shows the values under the pointer. What it needs stands in the drawing; without it there are still the titles of the
  /// markers and the tables. It is written without < and &, so that the page is XML too.
  static let script = """
    (function () {
      'use strict';
      var near = 14;
      function curves(svg) {
        return Array.from(svg.querySelectorAll('.plot-series')).map(function (group) {
          return {
            group: group,
            name: group.dataset.name,
            x: group.dataset.x.split('|'),
            y: group.dataset.y.split('|'),
            at: group.querySelector('polyline').getAttribute('points').split(' ').map(function (pair) {
              return pair.split(',').map(Number);
            })
          };
        });
      }
      function nearest(curve, px) {
        var best = 0;
        curve.at.forEach(function (place, index) {
          if (Math.abs(curve.at[best][0] - px) > Math.abs(place[0] - px)) { best = index; }
        });
        return { curve: curve, index: best, px: curve.at[best][0], off: Math.abs(curve.at[best][0] - px) };
      }
      function row(tip, text, color) {
        var line = document.createElement('div');
        if (color) {
          var swatch = document.createElement('span');
          swatch.className = 'swatch';
          swatch.style.background = color;
          line.appendChild(swatch);
        }
        line.appendChild(document.createTextNode(text));
        tip.appendChild(line);
        return line;
      }
      document.querySelectorAll('figure svg').forEach(function (svg) {
        var figure = svg.closest('figure'), all = null, tip = null, cursor = null;
        function hide() {
          if (tip) { tip.remove(); cursor.remove(); tip = cursor = null; }
        }
        function show(event) {
          all = all || curves(svg);
          if (!all.length) { return; }
          var box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
          var px = (event.clientX - box.left) * scale;
          var found = all.map(function (curve) { return nearest(curve, px); });
          var closest = found.reduce(function (a, b) { return a.off > b.off ? b : a; });
          hide();
          cursor = document.createElementNS(svg.namespaceURI, 'line');
          [['x1', closest.px], ['x2', closest.px], ['y1', svg.dataset.top], ['y2', svg.dataset.bottom],
            ['class', 'plot-cursor']].forEach(function (pair) { cursor.setAttribute(pair[0], pair[1]); });
          svg.appendChild(cursor);
          tip = document.createElement('div');
          tip.className = 'tip';
          row(tip, closest.curve.x[closest.index]).style.fontWeight = '600';
          found.forEach(function (hit) {
            if (Math.abs(hit.px - closest.px) > near) { return; }
            var at = hit.curve.x[hit.index];
            var aside = at === closest.curve.x[closest.index] ? '' : ' (at ' + at + ')';
            row(tip, hit.curve.name + ': ' + hit.curve.y[hit.index] + aside,
              getComputedStyle(hit.curve.group).getPropertyValue('--c'));
          });
          figure.appendChild(tip);
          var left = closest.px / scale + 12;
          if (left + tip.offsetWidth > box.width) { left = Math.max(0, closest.px / scale - 12 - tip.offsetWidth); }
          tip.style.left = left + 'px';
          tip.style.top = svg.dataset.top / scale + 8 + 'px';
        }
        svg.addEventListener('pointermove', show);
        svg.addEventListener('pointerdown', show);
        svg.addEventListener('pointerleave', hide);
      });
    })();

    """
}
