// Logging in and out.
import { ask, url } from './dom.js'

const form = document.getElementById('login')
form?.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { user, password } = form.elements
  try {
    await ask(url('/api/login'), { method: 'POST', body: { user: user.value, password: password.value } })
    location.assign(url('/'))
  } catch (error) {
    form.querySelector('.error').textContent = error.message
    password.value = ''
    password.focus()
  }
})

document.getElementById('logout')?.addEventListener('click', async () => {
  await ask(url('/api/logout'), { method: 'POST', body: {} }).catch(() => {})
  location.assign(url('/login'))
})
