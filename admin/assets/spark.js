// Goes on drawing the lines of the past: a value is added as it comes, and the oldest one leaves.

const WIDTH = 100
const HEIGHT = 30
const POINTS_MIN = 30
const POINTS_MAX = 300

const past = new WeakMap()

// Adds `value`, seen at `time` (Unix seconds), to the line of `svg`.
export function extend(svg, value, time) {
  const line = past.get(svg) ?? begin(svg, time)
  past.set(svg, line)
  if (time - line.time >= line.step) {
    line.time = time
    line.points.push(value)
    const hasRoom = line.points[0] === null && line.points.length > POINTS_MIN
    if (hasRoom || line.points.length > POINTS_MAX) line.points.shift()
  } else {
    line.points[line.points.length - 1] = value
  }
  draw(svg, line.points)
}

function begin(svg, time) {
  const points = svg.dataset.points.split(' ').map((text) => (text === '-' || text === '' ? null : Number(text)))
  return { points, step: Number(svg.dataset.step), time }
}

function draw(svg, points) {
  const [area, line] = svg.children
  const greatest = Math.max(1, ...points.filter((point) => point !== null))
  const step = WIDTH / Math.max(1, points.length - 1)
  let [edge, below, run] = ['', '', []]
  const end = () => {
    if (!run.length) return
    edge += `M${run.join('L')}`
    below += `M${run[0].split(' ')[0]} ${HEIGHT}L${run.join('L')}L${run.at(-1).split(' ')[0]} ${HEIGHT}Z`
    run = []
  }
  points.forEach((point, index) => {
    if (point === null) return end()
    run.push(`${(index * step).toFixed(1)} ${(HEIGHT - 1.5 - (HEIGHT - 4) * point / greatest).toFixed(1)}`)
  })
  end()
  area.setAttribute('d', below)
  line.setAttribute('d', edge)
}
