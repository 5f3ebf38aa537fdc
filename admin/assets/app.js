// Everything that a page does once it is there. Each module looks for its own elements, and does nothing where there are none.
import './table.js'
import './live.js'
import './act.js'
import './clean.js'
import './peek.js'
import './publish.js'
import './jump.js'
import './login.js'
