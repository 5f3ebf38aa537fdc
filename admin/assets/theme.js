// Colours: the system's, or what was chosen here. Runs before the page is drawn, so that nothing flashes.
'use strict';
(() => {
  const root = document.documentElement
  const NEXT = { system: 'light', light: 'dark', dark: 'system' }
  const SIGN = { system: '◐', light: '☀', dark: '☾' }
  const chosen = () => {
    try {
      const theme = localStorage.getItem('nsqadmin.theme')
      return theme in NEXT ? theme : 'system'
    } catch {
      return 'system' // Storage may be forbidden.
    }
  }
  const apply = (theme) => {
    if (theme === 'system') delete root.dataset.theme
    else root.dataset.theme = theme
  }

  root.classList.add('scripted')
  apply(chosen())
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme')
    const show = (theme) => {
      button.textContent = SIGN[theme]
      button.setAttribute('aria-label', `Colours: ${theme === 'system' ? 'as the system' : theme}`)
    }
    show(chosen())
    button.addEventListener('click', () => {
      const theme = NEXT[root.dataset.theme ?? 'system']
      apply(theme)
      show(theme)
      try {
        localStorage.setItem('nsqadmin.theme', theme)
      } catch {
        // Then it holds for this page only.
      }
    })
  })
})()
